"""Do programs written for the Claude API notice that this server stands in between?"""
