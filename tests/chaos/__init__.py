"""Does each call end once, and is the ledger the bill, whatever is killed whenever?"""
