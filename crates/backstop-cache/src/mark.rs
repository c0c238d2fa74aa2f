use std::time::Duration;

use backstop_core::{Name, ServedBy, Stamp, context};

/// Says on a response that it comes from a cache.
pub trait Mark<Res> {
    /// Marks a response that `name` had kept for so long.
    fn mark(&self, response: &mut Res, name: &Name, age: Duration);
}

/// It is stamped as degraded, with its age, and served by the cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marked;

impl<Res: Stamp> Mark<Res> for Marked {
    fn mark(&self, response: &mut Res, name: &Name, age: Duration) {
        let mut stamp = ServedBy::new(name.clone()).degraded();
        stamp.requested = response.served_by().and_then(|was| was.requested.clone());
        stamp.age = Some(age);
        stamp.trail = context::trail();
        response.stamp(stamp);
    }
}

/// It is not marked: for types that have no place for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmarked;

impl<Res> Mark<Res> for Unmarked {
    fn mark(&self, _response: &mut Res, _name: &Name, _age: Duration) {}
}
