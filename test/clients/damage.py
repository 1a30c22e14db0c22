"""Damaged requests, for the tests that send thousands of them."""
import raw


def send_damaged(rnd, bootstrap, request, n, timeout):
    """Sends n requests with bytes changed or cut off; each gets an answer or the end of its connection.

    request(rnd) gives (api, version, body).  Returns how many were answered, closed, and silent for so many seconds.
    """
    answered = closed = silent = 0
    stranger = raw.Client(bootstrap, timeout=timeout)
    for _ in range(n):
        api, version, body = request(rnd)
        frame = bytearray(stranger.request_bytes(api, version, body))
        for _ in range(rnd.randrange(0, 4)):
            at = rnd.randrange(8, len(frame))
            frame[at] = rnd.choice([0, 1, 0x7F, 0x80, 0xFF, rnd.randrange(256)])
        if rnd.random() < 0.1:
            frame = frame[:rnd.randrange(1, len(frame))]
        try:
            stranger.send_frame(bytes(frame))
            stranger.receive_frame()
            answered += 1
        except TimeoutError:
            silent += 1
        except OSError:
            closed += 1
        else:
            continue
        stranger.close()
        stranger = raw.Client(bootstrap, timeout=timeout)
    stranger.close()
    return answered, closed, silent
