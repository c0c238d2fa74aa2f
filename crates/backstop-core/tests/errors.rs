//! What the layers' errors say, and what they lead to.

use std::{io, time::Duration};

use backstop_core::{
    Attempt, BoxError, Elapsed, Exhausted, Fault, FaultKind, FaultKinds, Limit, Open, Reason, Trail,
};

fn trail() -> Trail {
    let mut trail = Trail::new();
    let overloaded = Fault::new(FaultKind::Overloaded)
        .with_status(529)
        .because("overloaded");
    trail.push(
        Attempt::new(1, overloaded)
            .on("anthropic".into())
            .took(Duration::from_millis(212)),
    );
    let open = Open::new("openai".into(), Reason::Open, Some(Duration::from_secs(41)));
    trail.push(Attempt::passed_over(open.fault()).on("openai".into()));
    trail
}

#[test]
fn exhausted_lists_what_was_tried() {
    let last = io::Error::from(io::ErrorKind::ConnectionRefused);
    let error = Exhausted::new(trail(), Fault::new(FaultKind::Connect), last.into());
    assert_eq!(
        error.to_string(),
        "all 2 candidates failed: anthropic 529 overloaded after 212 ms; \
         openai circuit open, retry in 41 s",
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(41)));
    assert_eq!(error.trail().attempts().len(), 2);
}

#[test]
fn exhausted_offers_the_last_error_typed_and_goes_on_into_it() {
    let last = io::Error::from(io::ErrorKind::ConnectionRefused);
    let error = Exhausted::new(trail(), Fault::new(FaultKind::Connect), last.into());
    assert_eq!(
        error.last::<io::Error>().unwrap().kind(),
        io::ErrorKind::ConnectionRefused
    );
    assert!(error.last::<Elapsed>().is_none());
    let boxed: BoxError = error.into();
    assert!(boxed.source().unwrap().is::<io::Error>());
}

#[test]
fn one_candidate_is_not_called_all() {
    let mut trail = Trail::new();
    trail.push(Attempt::new(1, FaultKind::Connect.into()).on("db".into()));
    trail.push(Attempt::new(2, FaultKind::Connect.into()).on("db".into()));
    let error = Exhausted::new(trail, FaultKind::Connect.into(), "down".into());
    assert_eq!(
        error.to_string(),
        "the only candidate failed: db no connection after 0 ms; db no connection after 0 ms",
    );
}

#[test]
fn open_says_who_why_and_until_when() {
    let open = Open::new(
        "anthropic".into(),
        Reason::Open,
        Some(Duration::from_millis(1500)),
    );
    assert_eq!(open.to_string(), "anthropic: circuit open, retry in 1.5 s");
    assert_eq!(open.fault().kind(), FaultKind::Refused);
    assert_eq!(
        open.fault().retry_after(),
        Some(Duration::from_millis(1500))
    );
    let isolated = Open::new("db".into(), Reason::Isolated, None);
    assert_eq!(isolated.to_string(), "db: isolated");
}

#[test]
fn elapsed_says_which_limit_and_what_was_tried() {
    let elapsed = Elapsed::new(Limit::FirstItem, Duration::from_secs(30)).with_trail(trail());
    assert!(
        elapsed
            .to_string()
            .starts_with("first item limit reached after 30 s, having tried: ")
    );
}

#[test]
fn a_set_of_kinds_holds_what_it_was_made_of() {
    for kind in FaultKind::ALL {
        assert!(FaultKinds::ALL.contains(kind));
        assert!(!FaultKinds::ALL.without(kind).contains(kind));
        assert!(FaultKinds::NONE.with(kind).contains(kind));
        assert_eq!(FaultKinds::of(&[kind]).iter().collect::<Vec<_>>(), [kind]);
    }
    assert_eq!(
        FaultKind::ALL.into_iter().collect::<FaultKinds>(),
        FaultKinds::ALL
    );
    assert_eq!(
        format!("{:?}", FaultKinds::of(&[FaultKind::Connect])),
        "{Connect}"
    );
}
