//! An evaluator with nothing outside.
#![allow(dead_code)]

use std::sync::Arc;

use rx_eval::io::{ComputedStore, EvalIo, EvalStore, FileKind, Listing};
use rx_eval::{Error, EvalSettings, Evaluator, Origin, Result, Vm};

/// No files, no environment, and a store that nothing can be read from.
#[derive(Default)]
pub struct Nothing {
    store: ComputedStore,
}

fn nothing<T>() -> Result<T> {
    Err(Error::other("there is nothing outside"))
}

impl EvalIo for Nothing {
    fn read_file(&self, _: &[u8]) -> Result<Vec<u8>> {
        nothing()
    }
    fn read_dir(&self, _: &[u8]) -> Result<Arc<Listing>> {
        nothing()
    }
    fn kind(&self, _: &[u8]) -> Result<Option<FileKind>> {
        nothing()
    }
    fn resolve(&self, _: &[u8]) -> Result<Vec<u8>> {
        nothing()
    }
    fn read_link(&self, _: &[u8]) -> Result<Vec<u8>> {
        nothing()
    }
    fn env(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
    fn now(&self) -> i64 {
        0
    }
    fn store(&self) -> &dyn EvalStore {
        &self.store
    }
}

/// An evaluator thread of its own evaluation.
pub fn vm(settings: EvalSettings) -> Vm {
    Vm::new(Evaluator::new(
        settings,
        Box::new(Nothing::default()),
        false,
    ))
}

/// The value of a program.
pub fn eval(vm: &mut Vm, text: &str) -> Result {
    vm.eval_text(Origin::String, text.as_bytes(), b"/")
}
