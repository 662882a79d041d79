"""Sends frames over and over, as many a second as it is told: `flood.py INTERFACE RATE`, the frames on standard input, each
after its length in two bytes. Ends with SIGTERM, and prints how many it sent."""

import signal
import socket
import struct
import sys
import time

TICK = 0.002


def main(interface: str, rate: int) -> None:
    data, frames = sys.stdin.buffer.read(), []
    while data:
        length = struct.unpack("!H", data[:2])[0]
        frames.append(data[2 : 2 + length])
        data = data[2 + length :]
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((interface, 0))
    running = True

    def stop(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    print("sending", flush=True)
    sent, began, send = 0, time.monotonic(), sender.send
    while running:
        due = int((time.monotonic() - began) * rate)
        # Who was kept from running does not make up for all of it at once.
        if due - sent > rate // 20:
            began += (due - sent) / rate
            continue
        for number in range(sent, due):
            try:
                send(frames[number % len(frames)])
            except OSError:  # no room in the queue
                pass
        sent = due
        time.sleep(TICK)
    print(sent, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
