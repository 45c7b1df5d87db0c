using System.Globalization;
using Markdig;
using Markdig.Extensions.Tables;
using Markdig.Renderers;
using Markdig.Renderers.Html;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;
using SkiaSharp;

namespace BayesNet.Benchmarks.Summary;

/// <summary>A report's Markdown as a part of a page.</summary>
internal static class MarkdownPage
{
    /// <summary>Tables of more rows are folded away.</summary>
    public const int LongTable = 16;

    private static readonly MarkdownPipeline Pipeline = new MarkdownPipelineBuilder().UsePipeTables().DisableHtml().Build();

    /// <summary>
    /// Headings one level lower and without the first, which the page has; plots in the page itself; links relative to the report's folder; the
    /// list on top, what the report was run with, in small; tables that scroll, long ones folded.
    /// </summary>
    /// <param name="markdown">The report.</param>
    /// <param name="root">The page's folder.</param>
    /// <param name="folder">The report's folder in it; empty for itself.</param>
    public static string ToHtml(string markdown, DirectoryInfo root, string folder)
    {
        MarkdownDocument document = Markdown.Parse(markdown, Pipeline);
        if (document.FirstOrDefault() is HeadingBlock { Level: 1 } title)
        {
            document.Remove(title);
            if (document.FirstOrDefault() is ListBlock environment)
                environment.GetAttributes().AddClass("run");
        }

        foreach (HeadingBlock heading in document.Descendants<HeadingBlock>())
            heading.Level = Math.Min(6, heading.Level + 1);
        foreach (LinkInline link in document.Descendants<LinkInline>())
        {
            if (link.IsImage)
            {
                Embed(link, Path.Combine(root.FullName, folder, link.Url!));
                if (link.Parent?.ParentBlock is { } paragraph)
                    paragraph.GetAttributes().AddClass("plot scroll");
            }
            else if (folder.Length > 0 && link.Url is { } url && !url.Contains(':', StringComparison.Ordinal) && !url.StartsWith('#'))
            {
                link.Url = $"{folder}/{url}";
            }
        }

        using var writer = new StringWriter(CultureInfo.InvariantCulture);
        var renderer = new HtmlRenderer(writer);
        Pipeline.Setup(renderer);
        renderer.ObjectRenderers.Replace<HtmlTableRenderer>(new ScrollingTable());
        renderer.Render(document);
        return writer.ToString();
    }

    // Lossless WebP has half the bytes of the PNG beside the report; a plot has two pixels a point.
    private static void Embed(LinkInline image, string file)
    {
        if (!File.Exists(file))
            return;
        using SKBitmap bitmap = SKBitmap.Decode(file);
        using SKPixmap pixels = bitmap.PeekPixels();
        using SKData webp = pixels.Encode(new SKWebpEncoderOptions(SKWebpEncoderCompression.Lossless, 100)) ?? throw new IOException($"{file} can't be written as WebP.");
        image.Url = "data:image/webp;base64," + Convert.ToBase64String(webp.AsSpan());
        image.GetAttributes().AddProperty("width", (bitmap.Width / 2).ToString(CultureInfo.InvariantCulture));
    }

    private sealed class ScrollingTable : HtmlTableRenderer
    {
        protected override void Write(HtmlRenderer renderer, Table table)
        {
            int rows = table.Count - 1;
            if (rows > LongTable)
                renderer.Write($"<details><summary>Table of {rows} rows</summary>\n");
            renderer.Write("<div class=\"scroll\">");
            base.Write(renderer, table);
            renderer.Write("</div>\n");
            if (rows > LongTable)
                renderer.Write("</details>\n");
        }
    }
}
