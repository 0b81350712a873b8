"""Records heartbeats from a network interface, and plays them again, as raw Ethernet frames.

usage (in the network namespace of a host):
    beats.py record FILE INTERFACE COUNT SOURCE     the next COUNT frames to UDP port 694 from that address
    beats.py replay FILE INTERFACE PER_SECOND       the same frames, unchanged, once, in order
Exit status 1 when not enough came within 10 s.
"""
import socket
import struct
import sys
import time

ETH_P_ALL, PORT = 3, 694


def is_beat(frame, source):
    if len(frame) < 42 or frame[12:14] != b'\x08\x00' or frame[23] != 17:
        return False
    header = (frame[14] & 15) * 4
    return (frame[26:30] == source and
            struct.unpack('!H', frame[14 + header + 2:14 + header + 4])[0] == PORT)


def record(path, interface, count, source):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((interface, ETH_P_ALL))
    frames, end = [], time.monotonic() + 10
    while len(frames) < count and time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            frame = s.recv(65536)
        except TimeoutError:
            break
        if is_beat(frame, socket.inet_aton(source)):
            frames.append(frame)
    with open(path, 'wb') as f:
        for frame in frames:
            f.write(struct.pack('!H', len(frame)) + frame)
    return len(frames) == count


def replay(path, interface, per_second):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((interface, 0))
    with open(path, 'rb') as f:
        data = f.read()
    begin, sent = time.monotonic(), 0
    while data:
        length = struct.unpack('!H', data[:2])[0]
        s.send(data[2:2 + length])
        data = data[2 + length:]
        sent += 1
        # the pace of a sender, not a wait for anything to happen
        time.sleep(max(0, begin + sent / per_second - time.monotonic()))     # tidy: keeps the rate that was asked for
    return sent > 0


def main(argv):
    if argv[0] == 'record':
        ok = record(argv[1], argv[2], int(argv[3]), argv[4])
    else:
        ok = replay(argv[1], argv[2], int(argv[3]))
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
