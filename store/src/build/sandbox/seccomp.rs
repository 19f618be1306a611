//! The system-call filter of builders, as a classic BPF program.
//!
//! ```text
//! no setuid or setgid bits    chmod, fchmod, fchmodat, fchmodat2 with them;        -> EPERM
//!                             open, openat, creat, mknod, mknodat creating with them
//! no extended attributes      get, set and list, which archives cannot hold        -> ENOTSUP
//! no io_uring                 it would do the above behind the filter's back       -> ENOSYS
//! ```
//!
//! The program covers the native architecture and the 32-bit one that the same kernel runs; it is
//! written by hand because a filter that knows one architecture would have to kill i686 builders.
//! The kernel precomputes which numbers are always allowed, so other calls cost nothing.

use super::sys::Instruction;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_BITS: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

const SET_ID_BITS: u32 = 0o6000;
const CREATES: u32 = libc::O_CREAT as u32 | 0o20_000_000;

/// What to do about one system call.
enum Rule {
    /// Always this error.
    Fails(i32),
    /// Not with a setuid or setgid bit in this argument.
    Mode(u32),
    /// Not creating (flags in the first argument named) with such a bit (in the second).
    CreateMode(u32, u32),
}

/// The rules of one architecture, by system call number.
struct Table {
    architecture: u32,
    mode: &'static [(u32, u32)],
    create: &'static [(u32, u32, u32)],
    attributes: &'static [u32],
}

/// Numbers that are the same everywhere.
const FCHMODAT2: u32 = 452;
const IO_URING: [u32; 3] = [425, 426, 427];
const ATTRIBUTES_AT: [u32; 3] = [463, 464, 465];

#[cfg(target_arch = "x86_64")]
const TABLES: &[Table] = &[
    Table {
        architecture: 0xc000_003e,
        mode: &[(90, 1), (91, 1), (268, 2), (85, 1), (133, 1), (259, 2)],
        create: &[(2, 1, 2), (257, 2, 3)],
        attributes: &[188, 189, 190, 191, 192, 193, 194, 195, 196],
    },
    Table {
        architecture: 0x4000_0003,
        mode: &[(15, 1), (94, 1), (306, 2), (8, 1), (14, 1), (297, 2)],
        create: &[(5, 1, 2), (295, 2, 3)],
        attributes: &[226, 227, 228, 229, 230, 231, 232, 233, 234],
    },
];

#[cfg(target_arch = "aarch64")]
const TABLES: &[Table] = &[
    Table {
        architecture: 0xc000_00b7,
        mode: &[(52, 1), (53, 2), (33, 2)],
        create: &[(56, 2, 3)],
        attributes: &[5, 6, 7, 8, 9, 10, 11, 12, 13],
    },
    Table {
        architecture: 0x4000_0028,
        mode: &[(15, 1), (94, 1), (333, 2), (8, 1), (14, 1), (324, 2)],
        create: &[(5, 1, 2), (322, 2, 3)],
        attributes: &[226, 227, 228, 229, 230, 231, 232, 233, 234],
    },
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const TABLES: &[Table] = &[];

/// The bit in the number of calls of the x32 variant, which share the architecture of x86_64.
const X32: u32 = 0x4000_0000;

/// The filter's program.
pub(super) fn program() -> Vec<Instruction> {
    let mut code = vec![load(OFFSET_ARCHITECTURE)];
    for table in TABLES {
        let block = block(table);
        code.push(branch(JUMP_EQUAL, table.architecture, 1, 0));
        code.push(statement(JUMP, block.len() as u32));
        code.extend(block);
    }
    code.push(statement(RETURN, ALLOW));
    code
}

/// One architecture: tests the number against each rule and ends with leave to go on.
fn block(table: &Table) -> Vec<Instruction> {
    let mut code = vec![load(OFFSET_NUMBER), statement(AND, !X32)];
    for &(number, argument) in table.mode {
        code.extend(rule(number, &Rule::Mode(argument)));
    }
    code.extend(rule(FCHMODAT2, &Rule::Mode(2)));
    for &(number, flags, mode) in table.create {
        code.extend(rule(number, &Rule::CreateMode(flags, mode)));
    }
    for &number in table.attributes.iter().chain(&ATTRIBUTES_AT) {
        code.extend(rule(number, &Rule::Fails(libc::ENOTSUP)));
    }
    for number in IO_URING {
        code.extend(rule(number, &Rule::Fails(libc::ENOSYS)));
    }
    code.push(statement(RETURN, ALLOW));
    code
}

/// Skipped as a whole if the number is another; otherwise always returns.
fn rule(number: u32, rule: &Rule) -> Vec<Instruction> {
    let denied = |errno: i32| statement(RETURN, ERRNO | errno as u32);
    let body = match *rule {
        Rule::Fails(errno) => vec![denied(errno)],
        Rule::Mode(argument) => vec![
            load(OFFSET_ARGUMENTS + 8 * argument),
            branch(JUMP_BITS, SET_ID_BITS, 0, 1),
            denied(libc::EPERM),
            statement(RETURN, ALLOW),
        ],
        Rule::CreateMode(flags, mode) => vec![
            load(OFFSET_ARGUMENTS + 8 * flags),
            branch(JUMP_BITS, CREATES, 0, 3),
            load(OFFSET_ARGUMENTS + 8 * mode),
            branch(JUMP_BITS, SET_ID_BITS, 0, 1),
            denied(libc::EPERM),
            statement(RETURN, ALLOW),
        ],
    };
    let mut code = vec![branch(JUMP_EQUAL, number, 0, body.len() as u8)];
    code.extend(body);
    code
}

fn statement(code: u16, k: u32) -> Instruction {
    branch(code, k, 0, 0)
}

fn load(offset: u32) -> Instruction {
    statement(LOAD, offset)
}

fn branch(code: u16, k: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        jt: if_true,
        jf: if_false,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn verdict(architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let program = program();
        let word = |offset: u32| match offset {
            OFFSET_NUMBER => number,
            OFFSET_ARCHITECTURE => architecture,
            _ => arguments[((offset - OFFSET_ARGUMENTS) / 8) as usize] as u32,
        };
        let (mut at, mut accumulator) = (0usize, 0u32);
        loop {
            let instruction = program[at];
            at += 1;
            let condition = match instruction.code {
                LOAD => {
                    accumulator = word(instruction.k);
                    continue;
                }
                AND => {
                    accumulator &= instruction.k;
                    continue;
                }
                JUMP => {
                    at += instruction.k as usize;
                    continue;
                }
                RETURN => return instruction.k,
                JUMP_EQUAL => accumulator == instruction.k,
                JUMP_BITS => accumulator & instruction.k != 0,
                other => panic!("instruction {other:#x}"),
            };
            at += usize::from(if condition {
                instruction.jt
            } else {
                instruction.jf
            });
        }
    }

    const EPERM: u32 = ERRNO | libc::EPERM as u32;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn set_id_bits_are_refused_on_both_architectures_and_plain_modes_allowed() {
        const NATIVE: u32 = 0xc000_003e;
        const I386: u32 = 0x4000_0003;
        let cases = [
            (NATIVE, 90, [0, 0o4755, 0, 0, 0, 0], EPERM),
            (NATIVE, 90, [0, 0o755, 0, 0, 0, 0], ALLOW),
            (NATIVE, 90 | X32, [0, 0o2755, 0, 0, 0, 0], EPERM),
            (NATIVE, 268, [0, 0, 0o2755, 0, 0, 0], EPERM),
            (NATIVE, 452, [0, 0, 0o4755, 0, 0, 0], EPERM),
            (NATIVE, 2, [0, 0o101, 0o4755, 0, 0, 0], EPERM),
            (NATIVE, 2, [0, 0o1, 0o4755, 0, 0, 0], ALLOW),
            (NATIVE, 257, [0, 0, 0o101, 0o4755, 0, 0], EPERM),
            (NATIVE, 0, [0, 0o4755, 0o4755, 0, 0, 0], ALLOW),
            (I386, 15, [0, 0o4755, 0, 0, 0, 0], EPERM),
            (I386, 15, [0, 0o755, 0, 0, 0, 0], ALLOW),
            (I386, 90, [0, 0o4755, 0, 0, 0, 0], ALLOW),
            (0x1234, 90, [0, 0o4755, 0, 0, 0, 0], ALLOW),
        ];
        for (architecture, number, arguments, expected) in cases {
            assert_eq!(
                verdict(architecture, number, arguments),
                expected,
                "{architecture:#x} {number}"
            );
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn extended_attributes_and_io_uring_look_unsupported() {
        assert_eq!(
            verdict(0xc000_003e, 188, [0; 6]),
            ERRNO | libc::ENOTSUP as u32
        );
        assert_eq!(
            verdict(0xc000_003e, 425, [0; 6]),
            ERRNO | libc::ENOSYS as u32
        );
    }
}
