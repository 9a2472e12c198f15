"""A prompt in, a stream of model events out: the providers, each behind the same interface.

Owns everything that is peculiar to a model's server: its dialect, its errors, its pace. It
knows `protocol` and `config` only; the session loop sees it through a port that these clients
fit by shape (`context_window`, `stores_responses`, `max_retries`, `stream`). It retries
nothing, keeps no conversation, and looks into response items no further than it must.

- `registry`: configuration in, client out; the table of providers.
- `client`: a server over HTTP, in whichever `dialect`; `opening` and `preload`: the HTTP client and
  its heavy imports; `http_request`: addresses and headers; `read_ahead`: the buffer of a stream.
- `responses` and `chat`: the two dialects, each with what it asks and what comes back
  (`stream_data`: how data is read leniently).
- `windows`: how much a model takes; `limits`: how servers tell.
- `errors`: what an answer means that is none (`complaints`: finding what a server says, `wordings`:
  its words, `delays`: how long to wait); `connections`, `proxies`: what keeps us from it; `advice`:
  what a person can do.
- `scripted`: a model that plays a file; `script`: what it plays; `script_file`: the format.

httpx is imported inside functions only, never at start.
"""
