//! A request of another program and its answer, as the gateway passes them on.

pub use crate::model::forward::{
    ForwardBody, ForwardError, ForwardReply, ForwardRequest, Pieces, Served,
};
