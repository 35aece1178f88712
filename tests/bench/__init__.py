"""How quick is it? Run by `make bench`, never by the tests: figures depend on the machine."""
