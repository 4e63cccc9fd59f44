"""The pages: the form for prospects, the inbox for attorneys."""
