//! Trouble that is said when it begins, and again only when it has changed or has been over.

/// The last trouble that was said; a `T` tells one trouble from another.
#[derive(Debug)]
pub struct Said<T = ()>(Option<T>);

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> Said<T> {
    /// There is this trouble. Returns whether it is to be said.
    pub fn is_new(&mut self, trouble: T) -> bool {
        let is_new = self.0.as_ref() != Some(&trouble);
        self.0 = Some(trouble);
        is_new
    }

    /// The trouble is over. Returns whether there was one.
    pub fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

impl Said {
    /// There is trouble, of which there is only one kind. Returns whether it is to be said.
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
    fn trouble_is_said_once_and_again_when_it_has_changed_or_has_been_over() {
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
