"""The door for WebSockets: who may come in, and which frames go back and forth?"""
