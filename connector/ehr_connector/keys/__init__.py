"""The connector's keys, by reference: files of one folder, each named by when it was made, so that they can be rotated."""
