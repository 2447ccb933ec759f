// The pages of the mall: only the picture needs a script, everything else works without one.

import { productPicture } from "./dom.js";

const stage = document.getElementById("picture");
const { sku, title, image } = stage.dataset;
stage.replaceChildren(productPicture({ sku, title, image_url: image }));
