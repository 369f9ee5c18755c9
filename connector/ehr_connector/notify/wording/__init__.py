"""The words of messages: built-in and the organisation's own, how many segments they take, and a preview of all."""
