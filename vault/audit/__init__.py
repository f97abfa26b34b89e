"""An audit of a dump: can a reader link blocks to users, or to each other? (VAULT §24)"""
