"""What is in a demo database, how does it get there, and how does it go again?"""
