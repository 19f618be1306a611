//! Long texts on a terminal.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::ui::{self, Failure};

/// Shows a text: through the user's pager when it is longer than the terminal.
pub(super) fn show(text: &[u8]) -> Result<(), Failure> {
    let lines = text.iter().filter(|&&byte| byte == b'\n').count();
    let rows = crossterm::terminal::size().map_or(24, |(_, rows)| usize::from(rows));
    if !ui::stdout_is_terminal() || lines + 1 < rows || !page(text) {
        ui::print_bytes(text)?;
    }
    Ok(())
}

/// Runs the pager; false when there is none.
fn page(text: &[u8]) -> bool {
    let pager = ["NIX_PAGER", "PAGER"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "less".to_owned());
    if pager == "cat" {
        return false;
    }
    let _pause = rx_store::progress::pause();
    let child = Command::new("sh")
        .args(["-c", &pager])
        .env("LESS", std::env::var("LESS").unwrap_or("FRX".to_owned()))
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A pager may be left before it has read everything.
        let _ = stdin.write_all(text);
    }
    // 127: the shell did not find it.
    child.wait().is_ok_and(|status| status.code() != Some(127))
}
