//! Whether a failure may pass when the same is tried again: what an engine that retries has to know.

use std::error::Error;
use std::io::{self, ErrorKind};

use archaeo_experiments::investigation::{InvestigationError, ShardError};
use archaeo_store::run_folder::RunFolderError;
use archaeo_training::TrainError;

use crate::error::LabError;
#[cfg(feature = "hub")]
use crate::hub::HubError;
#[cfg(feature = "cloud")]
use crate::remote::RemoteError;

/// Whether the same command may succeed later without any change to it or to its input: a full disk, a file system or a network that
/// does not answer, a folder that another process uses, shards that are not there yet. Anything else fails again.
pub fn is_transient(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<LabError>().is_some_and(waits)
            || error.downcast_ref::<io::Error>().is_some_and(may_pass)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether others have to end first, or a network has to answer.
fn waits(error: &LabError) -> bool {
    let in_use = |error: &RunFolderError| matches!(error, RunFolderError::InUse(_));
    let of_training = |error: &TrainError| matches!(error, TrainError::Folder(error) if in_use(error));
    match error {
        LabError::Folder(error) => in_use(error),
        LabError::Train(error) => of_training(error),
        LabError::Investigation(error) => match &**error {
            InvestigationError::Folder(error) => in_use(error),
            InvestigationError::Train(error) => of_training(error),
            InvestigationError::Shards(error) => matches!(error, ShardError::Missing { .. }),
            _ => false,
        },
        #[cfg(feature = "hub")]
        LabError::Hub(error) => {
            matches!(error, HubError::Unreachable { .. } | HubError::Damaged { .. } | HubError::Disk { .. })
        }
        #[cfg(feature = "cloud")]
        LabError::Remote(error) => matches!(
            error,
            RemoteError::Unreachable { .. } | RemoteError::Changed { .. } | RemoteError::Disk { .. }
        ),
        _ => false,
    }
}

/// Whether what the operating system refused may be granted later.
fn may_pass(error: &io::Error) -> bool {
    // EIO and EREMOTEIO of a file system on a network, ENOLCK of its locks, EMFILE and ENFILE: none has a kind of its own.
    const WITHOUT_KIND: [i32; 5] = [5, 121, 37, 24, 23];
    match error.kind() {
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::OutOfMemory
        | ErrorKind::Interrupted
        | ErrorKind::TimedOut
        | ErrorKind::WouldBlock
        | ErrorKind::ResourceBusy
        | ErrorKind::Deadlock
        | ErrorKind::StaleNetworkFileHandle
        | ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected
        | ErrorKind::BrokenPipe
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown => true,
        _ => cfg!(unix) && error.raw_os_error().is_some_and(|code| WITHOUT_KIND.contains(&code)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use archaeo_experiments::scene::StudyError;
    use archaeo_experiments::shard::Shard;
    use archaeo_store::StoreError;
    use archaeo_training::RecipeError;

    use super::*;

    fn io_error(error: io::Error) -> LabError {
        let store = StoreError::io("write", "archaeo-out/records/attacks/vit.jsonl")(error);
        // As deep as a study's log lies.
        InvestigationError::Study(StudyError::Store(store)).into()
    }

    #[test]
    fn what_the_system_refuses_for_now_is_tried_again() {
        let passes = |kind: ErrorKind| is_transient(&io_error(kind.into()));
        assert!(passes(ErrorKind::StorageFull) && passes(ErrorKind::TimedOut));
        assert!(passes(ErrorKind::StaleNetworkFileHandle) && passes(ErrorKind::ConnectionReset));
        for kind in [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            assert!(!passes(kind), "{kind}");
        }
        for kind in [ErrorKind::InvalidData, ErrorKind::FileTooLarge, ErrorKind::UnexpectedEof] {
            assert!(!passes(kind), "{kind}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn so_are_failures_of_file_systems_on_a_network() {
        let code = |code: i32| is_transient(&io_error(io::Error::from_raw_os_error(code)));
        // EIO, ENOLCK, ESTALE, EDQUOT, ENOSPC; and ENOENT, EACCES, EISDIR.
        assert!([5, 37, 116, 122, 28].into_iter().all(code));
        assert!(![2, 13, 21].into_iter().any(code));
    }

    #[test]
    fn a_folder_in_use_and_shards_that_are_not_there_yet_are_waited_for() {
        let in_use = || RunFolderError::InUse(PathBuf::from("archaeo-out"));
        assert!(is_transient(&LabError::from(in_use())));
        assert!(is_transient(&LabError::from(InvestigationError::from(in_use()))));
        assert!(is_transient(&LabError::from(InvestigationError::Train(in_use().into()))));
        let of = |error: ShardError| is_transient(&LabError::from(InvestigationError::from(error)));
        let (folder, missing) = (PathBuf::from("archaeo-out"), vec![3]);
        assert!(of(ShardError::Missing { folder: folder.clone(), of: 7, missing, command: String::new() }));
        let asked = Shard::new(0, 2).unwrap();
        assert!(!of(ShardError::OtherDivision { folder: folder.clone(), there: 7, asked }));
        assert!(!of(ShardError::None(folder)));
    }

    #[test]
    fn wrong_input_fails_again() {
        assert!(!is_transient(&LabError::from(RecipeError::Value("epochs must be a number".into()))));
        assert!(!is_transient(&LabError::UnknownStudy("attack".into())));
        let foreign = RunFolderError::Foreign(PathBuf::from("home"));
        assert!(!is_transient(&LabError::from(foreign)));
    }
}
