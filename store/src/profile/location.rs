//! Where the user's profile, channels and expressions are, found or set up.
//!
//! | what | classic | with `use-xdg-base-directories` |
//! |---|---|---|
//! | link to the profile | `~/.nix-profile` | `$XDG_STATE_HOME/nix/profile` |
//! | expressions | `~/.nix-defexpr` | `$XDG_STATE_HOME/nix/defexpr` |
//! | generations | `$XDG_STATE_HOME/nix/profiles`, or `per-user/root` of the system's for root | the same |

use std::path::{Path, PathBuf};

use super::generations::replace_link;
use crate::settings::{Settings, clean, machine};

/// The directory of root's profiles.
fn root_profiles(settings: &Settings) -> PathBuf {
    settings.places.state_dir.join("profiles/per-user/root")
}

/// The directory of the user's profiles.
pub fn profiles_dir(settings: &Settings) -> PathBuf {
    if machine::is_root() {
        root_profiles(settings)
    } else {
        settings.places.user_state_dir.join("profiles")
    }
}

/// A place in the home directory, or with the setting below the user's state.
fn under_home(settings: &Settings, classic: &str, xdg: &str) -> PathBuf {
    if settings.use_xdg_base_directories {
        settings.places.user_state_dir.join(xdg)
    } else {
        settings.places.home.join(classic)
    }
}

/// The link that leads to the profile in use.
pub fn profile_link(settings: &Settings) -> PathBuf {
    under_home(settings, ".nix-profile", "profile")
}

/// The directory of the user's expressions.
pub fn expressions_dir(settings: &Settings) -> PathBuf {
    under_home(settings, ".nix-defexpr", "defexpr")
}

/// The profile in use. The link to it is made if there is none.
pub fn default_profile(settings: &Settings) -> PathBuf {
    let link = profile_link(settings);
    let profiles = profiles_dir(settings);
    let profile = profiles.join("profile");
    // What cannot be set up is reported when it is written to.
    let _ = std::fs::create_dir_all(&profiles);
    let parent = link.parent().unwrap_or(Path::new("/")).to_owned();
    let _ = std::fs::create_dir_all(&parent);
    if link.symlink_metadata().is_err() {
        let _ = replace_link(&profile, &link);
    }
    if machine::is_root() {
        // Systems and their scripts expect root's profile there.
        let global = settings.places.state_dir.join("profiles/default");
        if global.symlink_metadata().is_err() {
            let _ = replace_link(&profile, &global);
        }
    }
    match std::fs::read_link(&link) {
        Ok(target) => clean(&parent.join(target)),
        Err(_) => link,
    }
}

/// Makes the directory of the user's expressions with its links to channels, if there is none.
pub fn set_up_expressions(settings: &Settings) {
    let dir = expressions_dir(settings);
    if dir.symlink_metadata().is_ok() || std::fs::create_dir_all(&dir).is_err() {
        return;
    }
    let _ = replace_link(
        &profiles_dir(settings).join("channels"),
        &dir.join("channels"),
    );
    if !machine::is_root() {
        let root = root_profiles(settings).join("channels");
        let _ = replace_link(&root, &dir.join("channels_root"));
    }
}
