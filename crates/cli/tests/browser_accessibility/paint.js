// How well the text of headers reads on what is painted behind it: the lowest
// contrast of any text to any pixel behind it. `arguments`: a picture of the
// whole page taken without its text (base64), and what texts() told before.
const [picture, texts] = arguments;
const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
return (async () => {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  const scale = bitmap.width / innerWidth;
  return texts.map(({ words, color, needs, box }) => {
    const [left, top, width, height] = box.map((length) => Math.round(length * scale));
    const { data } = pen.getImageData(left, top, Math.max(1, width), Math.max(1, height));
    const text = luminance(color);
    let lowest = Infinity;
    for (let at = 0; at < data.length; at += 4) {
      const behind = luminance(data.subarray(at, at + 3));
      lowest = Math.min(lowest, (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05));
    }
    return { words, needs, lowest };
  });
})();
