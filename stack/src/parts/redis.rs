//! Redis: append-only file on, nobody without the password.

use std::fmt::Write as _;

use super::{Plan, system_program};
use crate::layout::write_atomically;
use crate::part::Part;
use crate::probe::Probe;

/// The part, its configuration written.
pub fn part(plan: &Plan) -> anyhow::Result<Part> {
    let folder = plan.layout.folder("redis")?;
    let mut config = String::new();
    let password = plan.secrets.get("redis_password");
    let port = plan.ports.port("redis");
    // Writing to a String can't fail.
    let _ = write!(
        config,
        "bind 127.0.0.1\nport {port}\nprotected-mode yes\nrequirepass {password}\n\
         dir \"{}\"\nappendonly yes\nappendfsync everysec\nsave \"\"\n\
         maxmemory 512mb\nmaxmemory-policy noeviction\nloglevel notice\ndaemonize no\n",
        folder.display()
    );
    let file = folder.join("redis.conf");
    write_atomically(&file, config.as_bytes())?;
    let probe = Probe::Redis {
        address: plan.ports.address("redis"),
        password: password.to_owned(),
    };
    Ok(Part::new("redis", system_program("redis-server")?, probe).args([file]))
}
