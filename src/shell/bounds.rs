//! What a configuration can need beyond what this box gives: said by `check`, at the start and after a reload.

use core::fmt;

use crate::base::limits;
use crate::model::settings::Config;
use crate::sys::{self, descriptor};

/// Says something about a subject.
pub type Say<'a> = &'a mut dyn FnMut(&'static str, fmt::Arguments<'_>);

/// Raises the limit of descriptors to what the configuration can need, or says that it is too low.
pub fn allow_descriptors(config: &Config, say: Say<'_>) {
    let needed = config.in_flight() + u64::from(config.helpers()) + limits::OWN_DESCRIPTORS as u64;
    match descriptor::raise_descriptor_limit(needed) {
        Ok(limit) if limit >= needed => {}
        Ok(limit) => say(
            "descriptors",
            format_args!(
                "{limit} may be open and {needed} can be needed when targets hang, ticks beyond are skipped; raise it with ulimit -n"
            ),
        ),
        Err(errno) => say(
            "descriptors",
            format_args!("the limit is not known ({}), ticks beyond it are skipped", sys::describe(errno)),
        ),
    }
}

/// Says what is skipped while no name server answers, if helpers are too few for that.
pub fn say_helpers(config: &Config, say: Say<'_>) {
    let (lookups, helpers) = (config.lookups(), config.helpers());
    if lookups <= u64::from(helpers) {
        return;
    }
    let why = if helpers < config.settings.helpers {
        "an eighth of this box's memory"
    } else if usize::from(helpers) < limits::HELPERS {
        "the setting helpers"
    } else {
        "the most there can be"
    };
    say(
        "helpers",
        format_args!(
            "{lookups} can be needed while no name server answers and {helpers} may run ({why}), ticks beyond are skipped then"
        ),
    );
}
