"""Identity providers where people sign in to the pages: OpenID Connect and GitHub. The only home of Authlib."""
