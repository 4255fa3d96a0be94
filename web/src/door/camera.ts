// The camera as a scanner, where the browser can read QR codes by itself.

interface Detector {
  detect(source: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>;
}
type DetectorClass = new (options: { formats: string[] }) => Detector;

/** Between two looks through the camera, in milliseconds. */
const LOOK_MS = 150;
/** The same code is not read again sooner: a ticket held a little long is not shown twice. */
const AGAIN_MS = 4000;

function detectorClass(): DetectorClass | undefined {
  return (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;
}

export function canScan(): boolean {
  return detectorClass() !== undefined && navigator.mediaDevices?.getUserMedia !== undefined;
}

/** Shows what the camera sees and tells each code once; gives back how to stop. */
export async function scan(video: HTMLVideoElement, tell: (code: string) => Promise<void>): Promise<() => void> {
  const Class = detectorClass();
  if (Class === undefined) throw new Error('no detector');
  const detector = new Class({ formats: ['qr_code'] });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  video.srcObject = stream;
  await video.play();
  let stopped = false;
  let last = { code: '', at: 0 };
  const look = async (): Promise<void> => {
    if (stopped) return;
    try {
      const [found] = await detector.detect(video);
      const now = performance.now();
      if (found !== undefined && (found.rawValue !== last.code || now - last.at > AGAIN_MS)) {
        last = { code: found.rawValue, at: now };
        await tell(found.rawValue);
      } else if (found !== undefined) {
        last = { ...last, at: now };
      }
    } catch {
      // A frame that can't be read: there is another in a moment.
    }
    setTimeout(() => void look(), LOOK_MS);
  };
  void look();
  return () => {
    stopped = true;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
}
