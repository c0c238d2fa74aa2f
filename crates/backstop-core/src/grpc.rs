//! What gRPC tells: status codes as verdicts, and the layers' errors as statuses.

use std::{error::Error, sync::Arc};

use tonic::{Code, Status};

use crate::{
    Classify, Elapsed, Exhausted, Fault, FaultKind, HttpStatus, Open, RetryHint, Verdict,
    http::grpc_kind,
};

/// The verdict of a gRPC status. A call that its caller cancelled says nothing about the service.
/// `NOT_FOUND`, `PERMISSION_DENIED` and `UNAUTHENTICATED` open a circuit breaker at once unless it
/// is told otherwise.
///
/// The pushback of `grpc-retry-pushback-ms` goes into the fault.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct GrpcStatus;

impl GrpcStatus {
    /// The classifier, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// What a status means.
    pub fn verdict(status: &Status) -> Verdict {
        let code = status.code() as i32 as u16;
        match status.code() {
            Code::Ok => Verdict::Success,
            Code::Cancelled => Verdict::Neutral,
            _ => {
                let kind = grpc_kind(code).unwrap_or(FaultKind::Unavailable);
                let hint = RetryHint::from_grpc_metadata(status.metadata().as_ref());
                Verdict::Failure(hint.apply(Fault::new(kind).with_status(code)))
            }
        }
    }
}

impl<Res> Classify<Res, Status> for GrpcStatus {
    fn classify(&self, result: Result<&Res, &Status>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(status) => Self::verdict(status),
        }
    }
}

/// The verdict of a gRPC response as HTTP carries it: for layers round a channel, or in a server.
///
/// A call that fails before its first message has its status in the headers. One that fails later
/// has it in the trailers, which are the tail's: see [`UntilEnd`](crate::UntilEnd).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct GrpcHttp;

impl GrpcHttp {
    /// The classifier, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<B, Err> Classify<::http::Response<B>, Err> for GrpcHttp {
    fn classify(&self, result: Result<&::http::Response<B>, &Err>) -> Verdict {
        let headers = result.ok().map(::http::Response::headers);
        match headers.and_then(Status::from_header_map) {
            Some(status) => GrpcStatus::verdict(&status),
            None => HttpStatus::new().classify(result),
        }
    }
}

fn status(code: Code, error: impl Error + Send + Sync + 'static) -> Status {
    let mut status = Status::new(code, error.to_string());
    status.set_source(Arc::new(error));
    status
}

impl From<Elapsed> for Status {
    fn from(error: Elapsed) -> Self {
        status(Code::DeadlineExceeded, error)
    }
}

impl From<Open> for Status {
    fn from(error: Open) -> Self {
        status(Code::Unavailable, error)
    }
}

impl From<Exhausted> for Status {
    fn from(error: Exhausted) -> Self {
        let code = error.last::<Self>().map_or(Code::Unavailable, Self::code);
        status(code, error)
    }
}
