//! Trouble that gets one message when it begins, and another one only if it changes or comes back.

/// The trouble that the last message was about. A `T` tells one trouble from another.
#[derive(Debug)]
pub struct Said<T = ()>(Option<T>);

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> Said<T> {
    /// There is this trouble. Returns whether a message is due.
    pub fn is_new(&mut self, trouble: T) -> bool {
        let is_new = self.0.as_ref() != Some(&trouble);
        self.0 = Some(trouble);
        is_new
    }

    /// The trouble is over. Returns whether there was one.
    pub fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// The trouble is over, if there was one.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

impl Said {
    /// There is trouble; there is only one kind. Returns whether a message is due.
    pub fn begins(&mut self) -> bool {
        self.is_new(())
    }

    /// Whether there is trouble.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_gets_one_message_and_another_if_it_changes_or_comes_back() {
        let mut said = Said::default();
        assert_eq!([said.is_new(1), said.is_new(1), said.is_new(2), said.is_new(1)], [true, false, true, true]);
        assert_eq!([said.is_over(), said.is_over(), said.is_new(1)], [true, false, true]);
        let mut said = Said::default();
        assert_eq!(
            [said.begins(), said.begins(), said.is_on(), said.is_over(), said.is_on()],
            [true, false, true, true, false]
        );
    }
}
