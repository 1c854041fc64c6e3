//! The simulator's answers on their way: pieces at a pace, with the faults that an answer can break off with.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, header};
use futures_util::{StreamExt as _, stream};
use hyper::body::Bytes;

use super::answers::{Content, error};
use super::dice::Dice;
use super::{Fault, Faults};

/// The connection is to break off.
#[derive(Debug, thiserror::Error)]
#[error("broken off on purpose")]
pub(super) struct BrokenOff;

/// What is sent.
pub(super) enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// Nothing, and nothing after it.
    Nothing,
    /// The connection breaks.
    Break,
    /// The same again and again.
    Forever(Bytes),
    /// A keep-alive every tenth of a second.
    KeepAlives,
}

/// The pieces of an answer as a fault leaves them.
pub(super) fn spoilt(
    pieces: Vec<String>,
    fault: Option<&Fault>,
    content: &Content,
    streams: bool,
    dice: &mut Dice,
) -> Vec<Piece> {
    let bytes = |text: &str| Piece::Bytes(Bytes::copy_from_slice(text.as_bytes()));
    let half = || -> Vec<Piece> {
        match pieces.as_slice() {
            [whole] => vec![bytes(&whole[..whole.floor_char_boundary(whole.len() / 2)])],
            many => many[..many.len() / 2].iter().map(|p| bytes(p)).collect(),
        }
    };
    let half_and = |last: Piece| {
        let mut half = half();
        half.push(last);
        half
    };
    match fault {
        Some(Fault::StallMidway) => half_and(Piece::Nothing),
        Some(Fault::Truncate) => half(),
        Some(Fault::BreakMidway) => half_and(Piece::Break),
        Some(Fault::ErrorInside) if streams => half_and(bytes(&content.error_event())),
        Some(Fault::ErrorInside) => vec![bytes(
            &error(content.shape, 529, None, "overloaded").to_string(),
        )],
        Some(Fault::KeepAlive) => vec![Piece::KeepAlives],
        Some(Fault::Garbage) => {
            let rubbish: Vec<u8> = (0..512).map(|_| (dice.throw() * 256.0) as u8).collect();
            let before: &[u8] = if streams { b"data: " } else { b"" };
            vec![Piece::Bytes(Bytes::from(
                [before, &rubbish, b"\n\n"].concat(),
            ))]
        }
        Some(Fault::Huge) => {
            let text = "x".repeat(32 << 10);
            if streams {
                let long = Content {
                    text: text.clone(),
                    id: content.id.clone(),
                    model: content.model.clone(),
                    tool: content.tool.clone(),
                    ..*content
                };
                let events = long.events();
                vec![Piece::Forever(Bytes::from(
                    events[1..events.len().saturating_sub(4)].concat(),
                ))]
            } else {
                vec![
                    bytes(r#"{"choices":[{"message":{"content":""#),
                    Piece::Forever(Bytes::from(text)),
                ]
            }
        }
        Some(Fault::NoEnd) if streams => pieces[..pieces.len() - 1]
            .iter()
            .map(|p| bytes(p))
            .collect(),
        Some(Fault::Bytewise) => pieces
            .concat()
            .bytes()
            .map(|b| Piece::Bytes(Bytes::copy_from_slice(&[b])))
            .collect(),
        _ => pieces.iter().map(|p| bytes(p)).collect(),
    }
}

/// The pieces, one after another, at their pace. `under_way` lasts as long as the body.
pub(super) fn in_pieces(
    pieces: Vec<Piece>,
    kind: &'static str,
    faults: &Faults,
    under_way: impl Send + 'static,
) -> Response<Body> {
    let pause = Duration::from_millis(faults.piece_ms);
    // With no pause between them they are one: a system call for each would be the simulator's own cost.
    let mut joined: Vec<Piece> = Vec::new();
    let bytewise = pieces.len() > 1
        && pieces
            .iter()
            .all(|p| matches!(p, Piece::Bytes(b) if b.len() == 1));
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Bytes(before)), Piece::Bytes(more)) if pause.is_zero() && !bytewise => {
                *before = Bytes::from([before.as_ref(), more.as_ref()].concat());
            }
            (_, piece) => joined.push(piece),
        }
    }
    let state = (joined.into_iter(), under_way, true);
    let body = stream::unfold(state, move |(mut pieces, under_way, first)| async move {
        let piece = pieces.next()?;
        if !first && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some((piece, (pieces, under_way, false)))
    })
    .flat_map(
        |piece| -> stream::BoxStream<'static, Result<Bytes, BrokenOff>> {
            match piece {
                Piece::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
                Piece::Nothing => stream::pending().boxed(),
                Piece::Break => stream::once(async {
                    // What was said before is on its way first.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Err(BrokenOff)
                })
                .boxed(),
                Piece::Forever(bytes) => stream::repeat_with(move || Ok(bytes.clone())).boxed(),
                Piece::KeepAlives => stream::unfold((), |()| async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Some((Ok(Bytes::from_static(b": keep-alive\n\n")), ()))
                })
                .boxed(),
            }
        },
    );
    let mut response = Response::new(Body::from_stream(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
