use std::fmt;

/// What of a response is kept, and how a response is made of that again.
pub trait Keep<Res> {
    /// What is kept.
    type Kept: Clone + Send + Sync + 'static;

    /// What to keep of this response; none to keep nothing of it.
    fn keep(&self, response: &Res) -> Option<Self::Kept>;

    /// The response again.
    fn restore(&self, kept: Self::Kept) -> Res;
}

/// A response is kept as it is, and handed out as a clone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clones;

impl<Res> Keep<Res> for Clones
where
    Res: Clone + Send + Sync + 'static,
{
    type Kept = Res;

    fn keep(&self, response: &Res) -> Option<Res> {
        Some(response.clone())
    }

    fn restore(&self, kept: Res) -> Res {
        kept
    }
}

/// Two closures tell what is kept and how it becomes a response again.
#[derive(Clone, Copy)]
pub struct KeepFn<F, G> {
    pub(crate) keep: F,
    pub(crate) restore: G,
}

impl<F, G, Res, Kept> Keep<Res> for KeepFn<F, G>
where
    F: Fn(&Res) -> Option<Kept>,
    G: Fn(Kept) -> Res,
    Kept: Clone + Send + Sync + 'static,
{
    type Kept = Kept;

    fn keep(&self, response: &Res) -> Option<Kept> {
        (self.keep)(response)
    }

    fn restore(&self, kept: Kept) -> Res {
        (self.restore)(kept)
    }
}

impl<F, G> fmt::Debug for KeepFn<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepFn")
    }
}
