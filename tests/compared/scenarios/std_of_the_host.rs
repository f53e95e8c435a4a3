// 2 · the same, with the `libstd.so` of the host
// with: std_shared

use std::cell::RefCell;

thread_local! {
    static VALUE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[unsafe(no_mangle)]
extern "C" fn act() {
    VALUE.with_borrow_mut(|value| value.push(1));
}

#[unsafe(no_mangle)]
extern "C" fn act_on_caller() {
    act();
}
