"""Where resumes lie: a folder of this machine, or a bucket."""
