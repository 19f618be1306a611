//! `--set-flag`: priority, active and keep of what is installed.

use rx_store::profile::Token;
use rx_store::progress;

use super::Work;
use super::installed::Installed;
use super::selectors::Selector;
use crate::ui::{Failure, UsageError};

impl Work<'_> {
    pub(super) fn set_flag(&mut self) -> Result<(), Failure> {
        let [name, value, selectors @ ..] = self.env.arguments.as_slice() else {
            return Err(UsageError::new("not enough arguments to '--set-flag'").into());
        };
        // The builder of the profile could only say that something is malformed.
        let text = String::from_utf8_lossy(value);
        if name == b"priority" && text.parse::<i64>().is_err() {
            return Err(UsageError::new(format!("'{text}' is not a priority"))
                .hint("priorities are numbers; files of lower ones win")
                .into());
        }
        let selectors: Vec<Selector> = selectors
            .iter()
            .map(|text| Selector::parse(text))
            .collect::<Result<_, _>>()?;
        let mut turn = None;
        loop {
            let token = Token::of(self.profile);
            let installed = Installed::read(self.session, &*self.store, self.profile)?;
            let mut items = installed.items;
            let mut used = vec![false; selectors.len()];
            for item in &mut items {
                for (selector, used) in selectors.iter().zip(&mut used) {
                    if selector.matches(item)? {
                        progress::info(format_args!("setting flag on '{}'", item.shown_name()));
                        *used = true;
                        self.of(|vm| item.set_flag(vm, name, value))?;
                        break;
                    }
                }
            }
            let unused = selectors
                .iter()
                .zip(&used)
                .find(|(selector, used)| !**used && selector.text != "*");
            if let Some((selector, _)) = unused {
                return Err(Failure::message(format!(
                    "selector '{}' matches no derivations",
                    selector.text
                )));
            }
            let commit = self.commit(installed.format, 0);
            if self.conclude(&commit, &mut items, &token, &mut turn)? {
                return Ok(());
            }
        }
    }
}
