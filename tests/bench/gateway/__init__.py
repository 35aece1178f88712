"""What does the gateway add to calling Claude directly, and what to a bare view that only calls the SDK?"""
