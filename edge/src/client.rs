//! Calling a Durable Object, and answering as one.

use crate::contract::{Call, DIRECTORY, DISPENSER_BINDING, DispenserId, ROOM_BINDING};
use crate::runtime::within;
use catraca_domain::ids::RoomName;
use worker::{Env, Method, Request, RequestInit, Response, Stub, console_error};

/// Longest wait for a Room, in milliseconds.
const ROOM_MS_MAX: u64 = 4_000;
/// Longest wait for a Dispenser, in milliseconds: it is to find out first that its Room is away, and to
/// say so.
const DISPENSER_MS_MAX: u64 = 5_000;
/// The host part is never looked at.
const ORIGIN: &str = "https://object";

/// The object could not be asked, broke down or took too long. Nothing is known of what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreachable;

/// Asks the room.
pub(crate) async fn ask_room<C: Call>(
    env: &Env,
    room: &RoomName,
    call: &C,
) -> Result<C::Reply, Unreachable> {
    let stub = env
        .durable_object(ROOM_BINDING)
        .and_then(|namespace| namespace.get_by_name(room.as_str()));
    ask(stub, call, ROOM_MS_MAX).await
}

/// Asks which rooms there are.
pub(crate) async fn ask_directory<C: Call>(env: &Env, call: &C) -> Result<C::Reply, Unreachable> {
    let stub = env
        .durable_object(ROOM_BINDING)
        .and_then(|namespace| namespace.get_by_name(DIRECTORY));
    ask(stub, call, ROOM_MS_MAX).await
}

/// Asks one of the room's Dispensers.
pub(crate) async fn ask_dispenser<C: Call>(
    env: &Env,
    id: &DispenserId,
    call: &C,
) -> Result<C::Reply, Unreachable> {
    let stub = env
        .durable_object(DISPENSER_BINDING)
        .and_then(|namespace| namespace.get_by_name(&id.object_name()));
    ask(stub, call, DISPENSER_MS_MAX).await
}

async fn ask<C: Call>(
    stub: worker::Result<Stub>,
    call: &C,
    ms_max: u64,
) -> Result<C::Reply, Unreachable> {
    let asked = async {
        let stub = stub?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post)
            .with_body(Some(serde_json::to_string(call)?.into()));
        let request = Request::new_with_init(&format!("{ORIGIN}{}", C::ROUTE), &init)?;
        let mut response = stub.fetch_with_request(request).await?;
        if response.status_code() != 200 {
            return Err(format!("status {}", response.status_code()).into());
        }
        Ok::<_, worker::Error>(serde_json::from_slice(&response.bytes().await?)?)
    };
    match within(ms_max, asked).await {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(error)) => {
            console_error!("durable object call {} failed: {error}", C::ROUTE);
            Err(Unreachable)
        }
        None => {
            console_error!("durable object call {} took over {ms_max} ms", C::ROUTE);
            Err(Unreachable)
        }
    }
}

/// Reads a call that has come in.
pub(crate) fn read_call<C: Call>(body: &[u8]) -> worker::Result<C> {
    Ok(serde_json::from_slice(body)?)
}

/// Answers it.
pub(crate) fn reply<C: Call>(reply: &C::Reply) -> worker::Result<Response> {
    Response::from_json(reply)
}
