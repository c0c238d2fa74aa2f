//! What gRPC's statuses mean.
#![cfg(feature = "grpc")]

use backstop_core::{Classify, Fault, FaultKind, GrpcHttp, GrpcStatus, Verdict};
use http::{Response, StatusCode};
use tonic::{Code, Status};

fn failed(code: Code, kind: FaultKind) -> Verdict {
    Fault::new(kind).with_status(code as u16).into()
}

#[test]
fn each_code_is_of_its_kind_as_a_status_and_in_the_headers() {
    let kinds = [
        (Code::Unknown, FaultKind::Unavailable),
        (Code::InvalidArgument, FaultKind::Invalid),
        (Code::DeadlineExceeded, FaultKind::TimedOut),
        (Code::NotFound, FaultKind::Missing),
        (Code::AlreadyExists, FaultKind::Invalid),
        (Code::PermissionDenied, FaultKind::Denied),
        (Code::ResourceExhausted, FaultKind::RateLimited),
        (Code::FailedPrecondition, FaultKind::Invalid),
        (Code::Aborted, FaultKind::Invalid),
        (Code::OutOfRange, FaultKind::Invalid),
        (Code::Unimplemented, FaultKind::Invalid),
        (Code::Internal, FaultKind::Unavailable),
        (Code::Unavailable, FaultKind::Unavailable),
        (Code::DataLoss, FaultKind::Unavailable),
        (Code::Unauthenticated, FaultKind::Denied),
    ];
    let failures = kinds.map(|(code, kind)| (code, failed(code, kind)));
    let others = [
        (Code::Ok, Verdict::Success),
        (Code::Cancelled, Verdict::Neutral),
    ];
    for (code, verdict) in others.into_iter().chain(failures) {
        let status = Status::new(code, "");
        let error: Result<&(), _> = Err(&status);
        assert_eq!(GrpcStatus::new().classify(error), verdict, "{code:?}");
        let response = status.into_http::<()>();
        let answer: Result<_, &()> = Ok(&response);
        assert_eq!(GrpcHttp::new().classify(answer), verdict, "{code:?}");
    }
}

#[test]
fn a_response_without_a_code_is_judged_by_its_http_status() {
    for (status, verdict) in [
        (StatusCode::OK, Verdict::Success),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Fault::new(FaultKind::Unavailable).with_status(503).into(),
        ),
    ] {
        let mut response = Response::new(());
        *response.status_mut() = status;
        let answer: Result<_, &()> = Ok(&response);
        assert_eq!(GrpcHttp::new().classify(answer), verdict);
    }
}
