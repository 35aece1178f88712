"""What was spent over time, for pages, CSV and charts?"""
