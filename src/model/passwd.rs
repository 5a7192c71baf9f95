//! A user of this box, read from passwd(5).

use crate::base::words;

/// The numbers that the kernel knows a user by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The user's own group.
    pub gid: u32,
}

/// The file with the users of this box. Users of a directory service are not in it.
pub const PASSWD: &str = "/etc/passwd";

/// Finds the user with this name in the content of [`PASSWD`].
pub fn find(passwd: &[u8], name: &str) -> Option<User> {
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        let number = |at| {
            let field = rest.split(|byte| *byte == b':').nth(at)?;
            words::number(words::utf8(field)?, u32::MAX)
        };
        Some(User { uid: number(1)?, gid: number(2)? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name_and_only_with_both_numbers() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\n+nis\nbad:x:1x:1::/:\nshort:x:7\nnobody:*:65534:99:n:/:\n";
        let found = |name| find(passwd, name).map(|user| (user.uid, user.gid));
        assert_eq!((found("root"), found("nobody")), (Some((0, 0)), Some((65534, 99))));
        for name in ["", "nobod", "x", "+nis", "bad", "short", "nobody:*"] {
            assert_eq!(found(name), None, "{name}");
        }
    }
}
