//! Which tool call a piece of one belongs to.

/// The tool calls of a stream, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    choice: u32,
    /// The server's index.
    number: Option<u32>,
    /// The server's id.
    id: String,
}

/// Where a call is among those of its choice.
pub(super) struct Place {
    pub(super) index: u32,
    /// Whether it begins here.
    pub(super) is_new: bool,
}

impl Calls {
    /// How many a choice has.
    pub(super) fn count(&self, choice: u32) -> u32 {
        count(&self.0, choice)
    }

    /// The call that a piece belongs to.
    ///
    /// The pieces of a call have the same index; a server that gives all its calls the same index, or
    /// none, begins each with a new id or at least a name.
    pub(super) fn place(
        &mut self,
        choice: u32,
        number: Option<u32>,
        id: &str,
        name: &str,
    ) -> Place {
        let find = |is: &dyn Fn(&Call) -> bool| {
            let mut calls = self.0.iter();
            calls.rposition(|call| call.choice == choice && is(call))
        };
        let known = match id {
            "" => None,
            // Two that are numbered are two, whatever they are called.
            id => find(&|call| {
                let unnumbered = call.number.is_none() || number.is_none();
                call.id == id && (unnumbered || call.number == number)
            }),
        };
        let begun = known.or_else(|| match (number, name, id) {
            (_, name, id) if !name.is_empty() && !id.is_empty() => None,
            (Some(_), ..) => find(&|call| call.number == number),
            (None, "", _) => find(&|_| true),
            (None, ..) => None,
        });
        let at = begun.unwrap_or(self.0.len());
        if begun.is_none() {
            let id = id.to_owned();
            self.0.push(Call { choice, number, id });
        }
        Place {
            index: count(&self.0[..at], choice),
            is_new: begun.is_none(),
        }
    }
}

fn count(calls: &[Call], choice: u32) -> u32 {
    let count = calls.iter().filter(|call| call.choice == choice).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
