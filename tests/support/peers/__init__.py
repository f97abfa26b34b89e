"""Real applications that know nothing of Certless, started as their documents say."""
