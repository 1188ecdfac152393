"""Images and texts as the lessons take them: real ones, your own, or a stand-in that the course makes."""
