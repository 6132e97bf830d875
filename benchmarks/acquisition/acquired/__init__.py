"""The parts of the page on acquisition: numbers, cells of tables, words and pictures. Nothing here measures."""
