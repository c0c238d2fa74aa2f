//! Stamps on errors and responses.

use std::error::Error;

use backstop_core::{BoxError, ServedBy, Stamp, StampedError};

/// Puts a stamp on, adds to it, and puts another one over it.
fn stamped_twice(mut it: impl Stamp) -> impl Stamp {
    assert!(it.served_by().is_none() && it.served_by_mut().is_none());
    it.stamp(ServedBy::new("a".into()));
    it.served_by_mut().expect("is there").degraded = true;
    let stamp = it.served_by().expect("is there");
    assert!(&*stamp.name == "a" && stamp.degraded);
    it.stamp(ServedBy::new("b".into()));
    let stamp = it.served_by().expect("is there");
    assert!(&*stamp.name == "b" && !stamp.degraded);
    it
}

#[test]
fn an_error_has_one_stamp_however_often_it_is_put_on() {
    stamped_twice(BoxError::from("down"));
    let mut error = BoxError::from("down");
    for name in ["a", "b"] {
        error.stamp(ServedBy::new(name.into()));
    }
    assert_eq!(error.to_string(), "b failed");
    let stamped = error.downcast::<StampedError>().expect("has a stamp");
    assert_eq!(stamped.source().expect("why").to_string(), "down");
    assert_eq!(stamped.into_inner().to_string(), "down");
}

#[cfg(feature = "http")]
#[test]
fn an_http_response_has_its_stamp_in_the_extensions() {
    stamped_twice(http::Response::new(()));
}

#[cfg(feature = "grpc")]
#[test]
fn a_grpc_response_has_its_stamp_in_the_extensions() {
    stamped_twice(tonic::Response::new(()));
}
