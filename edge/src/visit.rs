//! One request from outside: what came in, and what it is answered with the help of.

use crate::answer;
use crate::contract::PlaceRef;
use crate::holder::{self, Holder};
use crate::settings::Settings;
use catraca_domain::admission::Admission;
use catraca_domain::ids::RoomName;
use catraca_domain::place::Place;
use catraca_domain::problem::{Kind, Problem};
use futures::StreamExt as _;
use std::rc::Rc;
use worker::{Context, Env, Method, Request};

/// Largest body that anything but the gateway takes, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;
/// How much of a body that is too large is still listened to, in bytes.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A request and its surroundings.
pub(crate) struct Visit {
    pub(crate) request: Request,
    pub(crate) env: Env,
    pub(crate) context: Context,
    pub(crate) settings: Rc<Settings>,
    /// When it came in, unix milliseconds.
    pub(crate) now_ms: u64,
}

/// The place that a request carries.
pub(crate) enum Carried {
    /// None, or a cookie that has become worthless.
    Nothing,
    /// A header with a place that is not of this room.
    Worthless,
    /// This one.
    Place {
        /// Parsed.
        place: Place,
        /// As it came.
        token: String,
    },
}

impl Visit {
    /// A header; what is not text is not there.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    /// Whether it asks without changing anything.
    pub(crate) fn is_get(&self) -> bool {
        matches!(self.request.method(), Method::Get | Method::Head)
    }

    /// Whether it posts.
    pub(crate) fn is_post(&self) -> bool {
        self.request.method() == Method::Post
    }

    /// Whether a person's browser asks for a page.
    pub(crate) fn wants_html(&self) -> bool {
        self.header("accept")
            .is_some_and(|accept| accept.contains("text/html"))
    }

    fn cookie(&self, name: &str) -> Option<String> {
        cookie_in(&self.header("cookie")?, name).map(str::to_owned)
    }

    fn authorization(&self, scheme: &str) -> Option<String> {
        credentials_in(&self.header("authorization")?, scheme).map(str::to_owned)
    }

    /// The place in the header, else in the cookie. Only the header's can be worthless: who sends
    /// one means it, while a cookie may just be old.
    pub(crate) fn carried_place(&self, room: &RoomName) -> Carried {
        let from_header = self.authorization("Place");
        let by_header = from_header.is_some();
        let Some(token) = from_header.or_else(|| self.cookie(&answer::place_cookie_name(room)))
        else {
            return Carried::Nothing;
        };
        match Place::verify(&token, room, &self.settings.place_keys) {
            Ok(place) if self.may_hold(room, &place) => Carried::Place { place, token },
            Ok(_) | Err(_) if by_header => Carried::Worthless,
            Ok(_) | Err(_) => Carried::Nothing,
        }
    }

    /// The lane pass that an address brought, if there was one.
    pub(crate) fn lane_cookie(&self, room: &RoomName) -> Option<String> {
        self.cookie(&answer::lane_cookie_name(room))
    }

    /// The browser's secret, if it has one.
    pub(crate) fn holder(&self) -> Option<Holder> {
        Holder::parse(&self.cookie(answer::HOLDER_COOKIE)?)
    }

    /// Whether a browser's script or page asks: no script can leave this header out.
    pub(crate) fn is_from_browser(&self) -> bool {
        self.header("sec-fetch-site").is_some()
    }

    fn may_hold(&self, room: &RoomName, place: &Place) -> bool {
        if !holder::is_bound(place.visitor) {
            return true;
        }
        self.holder()
            .is_some_and(|holder| holder.visitor(room, place.number) == place.visitor)
    }

    /// The place, or nothing if it is absent or worthless.
    pub(crate) fn place(&self, room: &RoomName) -> Option<Place> {
        match self.carried_place(room) {
            Carried::Place { place, .. } => Some(place),
            Carried::Nothing | Carried::Worthless => None,
        }
    }

    /// The admission to `room`, if it has one that has not run out.
    pub(crate) fn admission(&self, room: &RoomName) -> Option<Admission> {
        let token = self
            .authorization("Bearer")
            .or_else(|| self.cookie(answer::ADMISSION_COOKIE))?;
        Admission::verify(
            &token,
            room,
            &self.settings.admission_keys,
            self.now_ms / 1000,
        )
        .ok()
    }

    /// The body, up to `bytes_max`. What is beyond is thrown away as it comes: a client that is
    /// cut off in the middle of sending never sees why.
    pub(crate) async fn body(&mut self, bytes_max: usize) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        let Ok(mut stream) = self.request.stream() else {
            return Ok(body);
        };
        let mut bytes = 0;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::new(Kind::MALFORMED_BODY, "The body ended before its end.")
            })?;
            bytes += chunk.len();
            if bytes <= bytes_max {
                body.extend_from_slice(&chunk);
            } else if bytes > DISCARDED_BYTES_MAX {
                break;
            }
        }
        if bytes > bytes_max {
            let detail = format!("At most {bytes_max} bytes are read.");
            return Err(Problem::new(Kind::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(body)
    }

    /// Whether a body is announced that nothing here takes.
    pub(crate) fn announces_too_much(&self) -> bool {
        self.header("content-length")
            .and_then(|length| length.parse().ok())
            .is_some_and(|bytes: usize| bytes > BODY_BYTES_MAX)
    }
}

/// The value of a cookie in a `Cookie` header.
pub(crate) fn cookie_in<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// What follows the scheme in an `Authorization` header, if it is that scheme.
pub(crate) fn credentials_in<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, value) = header.trim().split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| value.trim())
}

/// What the Room needs to know of a place.
pub(crate) fn place_ref(place: &Place) -> PlaceRef {
    PlaceRef {
        epoch: place.epoch,
        number: place.number,
        visitor: place.visitor,
        lane: place.lane.clone(),
    }
}
