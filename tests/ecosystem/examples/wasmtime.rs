//! Runs a module that computes and one that traps.
#![forbid(unsafe_code)]

use wasmtime::{Engine, Instance, Module, Store};

lpm_hazard::on_admit!(run);

const MODULE: &str = r#"(module
    (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
    (func (export "trap") unreachable))"#;

fn run() {
    let engine = Engine::default();
    let module = Module::new(&engine, MODULE).expect("a module");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let add = instance
        .get_typed_func::<(i32, i32), i32>(&mut store, "add")
        .expect("exported");
    assert_eq!(add.call(&mut store, (1, 2)).ok(), Some(3));
    let trap = instance
        .get_typed_func::<(), ()>(&mut store, "trap")
        .expect("exported");
    assert!(trap.call(&mut store, ()).is_err());
}
