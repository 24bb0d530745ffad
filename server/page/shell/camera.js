import { h } from "../core/dom.js";
import { openDialog } from "./help.js";
import { takeImage, trouble } from "./intake.js";

/** @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it for this address and try again.",
  NotFoundError: "No camera was found. Connect one, or open a picture from a file.",
  NotReadableError: "The camera is in use by another program. Close that and try again.",
};

export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    trouble("The camera works only at a secure address: open the lab at localhost.");
    return;
  }
  /** @type {MediaStream} */
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    trouble(REASONS[error instanceof DOMException ? error.name : ""] ?? `The camera cannot be used: ${error}`);
    return;
  }
  const video = h("video", { autoplay: true, playsinline: true, "aria-label": "What the camera sees" });
  video.muted = true;
  video.srcObject = stream;
  const take = h("button", { class: "primary", onclick: () => shoot() }, "Take picture");
  const dialog = openDialog("Camera", video, h("div", { class: "row" }, take, h("button", { onclick: () => dialog.close() }, "Cancel")));
  dialog.addEventListener("close", () => stream.getTracks().forEach((track) => track.stop()));
  take.focus();

  const shoot = () => {
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => blob && takeImage("camera.png", blob), "image/png");
  };
}
