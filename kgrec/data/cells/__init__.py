"""What single cells of tables hold: ids, numbers, times, lists and text, read or refused."""
