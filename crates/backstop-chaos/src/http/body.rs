use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::TailFault;

pin_project! {
    /// A body that breaks as planned. A body that is spared is passed on as it is.
    #[derive(Debug)]
    pub struct ChaosBody<B> {
        #[pin]
        inner: B,
        fault: Option<TailFault>,
        // How many frames are still let through.
        left: usize,
    }
}

impl<B> ChaosBody<B> {
    pub(super) fn new(inner: B, fault: Option<TailFault>) -> Self {
        Self {
            inner,
            fault,
            left: fault.map_or(usize::MAX, TailFault::frames),
        }
    }
}

impl<B> Body for ChaosBody<B>
where
    B: Body,
    B::Error: From<Reset>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        if *this.left == 0 {
            match this.fault {
                Some(TailFault::StallAfter(_)) => return Poll::Pending,
                Some(TailFault::EndAfter(_)) => return Poll::Ready(None),
                Some(TailFault::ResetAfter(_)) => {
                    // What comes after an error is the end.
                    *this.fault = Some(TailFault::EndAfter(0));
                    return Poll::Ready(Some(Err(Reset.into())));
                }
                None => {}
            }
        }
        let frame = this.inner.poll_frame(cx);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            *this.left = this.left.saturating_sub(1);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match self.fault {
            None => self.inner.is_end_stream(),
            Some(TailFault::EndAfter(_)) => self.left == 0 || self.inner.is_end_stream(),
            Some(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.fault {
            None => self.inner.size_hint(),
            // How much it will be before it breaks is not known.
            Some(_) => SizeHint::default(),
        }
    }
}

/// The connection was reset in the middle of a body: by plan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection reset in the middle of the body")
    }
}

impl Error for Reset {}
