//! zip: members are found through the directory at the end of the file.

use std::fs::File;
use std::io::Read;

use ::zip::extra_fields::ExtraField;
use ::zip::result::ZipError;

use super::{TreeWriter, UnpackError};
use crate::fetch::time::days_from_civil;

/// Longest target of a symbolic link.
const MAX_TARGET: u64 = 4096;

fn damaged(error: ZipError) -> UnpackError {
    match error {
        ZipError::Io(error) => super::filter::read_error(error),
        other => UnpackError::Damaged(other.to_string()),
    }
}

/// Unpacks all members; returns the newest modification time.
pub(super) fn unpack(file: File, writer: &mut TreeWriter) -> Result<u64, UnpackError> {
    let mut archive = ::zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(damaged)?;
    let mut last_modified = 0;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(damaged)?;
        let name = member.name_raw().to_vec();
        let mode = member.unix_mode().unwrap_or(0);
        last_modified = last_modified.max(modified(&member));
        match mode & 0o170_000 {
            0o120_000 => {
                let mut target = Vec::new();
                (&mut member)
                    .take(MAX_TARGET)
                    .read_to_end(&mut target)
                    .map_err(super::filter::read_error)?;
                writer.symlink(&name, &target)?;
            }
            0o040_000 => writer.directory(&name)?,
            _ if name.ends_with(b"/") => writer.directory(&name)?,
            0 | 0o100_000 => {
                writer.file(&name, mode & 0o100 != 0, &mut member)?;
            }
            kind => {
                return Err(UnpackError::UnsupportedType {
                    path: String::from_utf8_lossy(&name).into_owned(),
                    kind,
                });
            }
        }
    }
    Ok(last_modified)
}

/// The modification time; DOS times have no zone and count as UTC.
fn modified(member: &::zip::read::ZipFile<'_, std::io::BufReader<File>>) -> u64 {
    for field in member.extra_data_fields() {
        if let ExtraField::ExtendedTimestamp(stamp) = field
            && let Some(time) = stamp.mod_time()
        {
            return u64::from(time);
        }
    }
    member.last_modified().map_or(0, |time| {
        let days = days_from_civil(time.year().into(), time.month().into(), time.day().into());
        let seconds = u64::from(time.hour()) * 3600
            + u64::from(time.minute()) * 60
            + u64::from(time.second());
        days.max(0) as u64 * 86_400 + seconds
    })
}
