//! Decides with a script in Lua, errors included.
#![forbid(unsafe_code)]

use mlua::Lua;

lpm_hazard::on_admit!(run);

fn run() {
    let lua = Lua::new();
    assert_eq!(lua.load("return 1 + 2").eval::<i64>().ok(), Some(3));
    assert!(lua.load("error('no')").exec().is_err());
}
